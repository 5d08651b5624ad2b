"""What a Hugging Face Space needs beside the app: its card, its requirements, a Dockerfile, and a command that publishes it."""
