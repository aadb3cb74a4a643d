"""A serializer that gives the bytes of the stock one in less time."""

from nautilus_enhanced.serialization.serializer import EnhancedSerializer
from nautilus_enhanced.serialization.verification import serializer_problems


__all__ = ["EnhancedSerializer", "serializer_problems"]
