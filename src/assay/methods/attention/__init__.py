"""Attention: which keys a query needs to see, and seeing no others."""
