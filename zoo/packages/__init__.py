"""Definitions of other hands, as their packages construct them: nothing is downloaded."""
