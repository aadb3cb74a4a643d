"""
Benchmarks that anyone can repeat: every figure beside its stock twin, and beside its ceiling.

``nt-enhanced bench`` runs them. Each is a module of this package, named by topology and metric,
whose docstring shows what is measured between which two ends.
"""
