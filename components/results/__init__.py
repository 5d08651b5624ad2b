"""The tab of the win rates, and what they rest on."""
