"""The watched system: one module a process.

gateway -> catalog -> store (SQLite)      recommendation -> catalog, the model served by Twofold
gateway -> cart -> store                  checkout -> cart, payment, queue `orders` -> worker -> store
"""
