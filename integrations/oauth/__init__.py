"""OAuth 2.0 as Google and Microsoft speak it (RFC 6749, 7636, 9700)."""
