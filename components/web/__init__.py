"""What stands before the screens: the server, its door, signing in, workspaces, logs and metrics."""
