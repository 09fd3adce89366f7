"""Vendors for tests: real HTTP servers on loopback that behave, and misbehave, as the vendors do."""
