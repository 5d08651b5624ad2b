"""Records, suggestions and responses in files: read from the forms that people have, and written in them. Pure."""
