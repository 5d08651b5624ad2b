"""The version of the app, also where it was not installed as a package: a Space has its files only."""

VERSION = "0.1.0"
