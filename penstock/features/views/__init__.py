"""Feature views: what a project declares, bound to its tables; a version is the fingerprint of the meaning."""
