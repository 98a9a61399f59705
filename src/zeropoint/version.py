"""The version of the package, written into every file it saves."""

VERSION = "0.1.0"
