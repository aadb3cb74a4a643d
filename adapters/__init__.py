"""Mixins and factories that bring the enhanced bus to venue adapters."""
