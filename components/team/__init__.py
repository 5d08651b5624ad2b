"""The tab of people, progress, sprints and workspaces."""
