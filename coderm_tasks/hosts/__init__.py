"""The hosts that coderm-tasks plugs into. Only modules under this package import a host."""
