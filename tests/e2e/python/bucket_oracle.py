"""Buckets by an independent implementation: reads {"salt": ..., "keys": [...]} and prints the list of buckets.

The formula is the one of the documentation, the hash is PyPI mmh3.
"""

import json
import sys

import mmh3

asked = json.load(sys.stdin)
hashed = (mmh3.hash(asked["salt"] + key, 0, signed=False) for key in asked["keys"])
json.dump([(value * 1000) >> 32 for value in hashed], sys.stdout)
