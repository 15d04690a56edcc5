"""Features over the network: an HTTP door that Feast's clients know, and Arrow Flight for whole tables.

A `FeatureService` answers; everything here reads requests, hands them over and writes answers down.
"""
