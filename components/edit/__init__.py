"""The tab on which people answer records, review, and set up datasets."""
