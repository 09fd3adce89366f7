"""The shapes of this app's resources in the API, one file each."""
