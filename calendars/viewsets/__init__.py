"""This app's JSON:API, one resource a file."""
