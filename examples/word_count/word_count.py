#!/usr/bin/env python3
"""Counts the words of a text: reads the parameters as JSON, and writes the result as JSON."""

import json
import sys

# JSON is UTF-8, whatever the locale says.
text = json.loads(sys.stdin.buffer.read())["text"]
result = {"words": len(text.split()), "lines": len(text.splitlines()), "characters": len(text)}
print(json.dumps(result))
