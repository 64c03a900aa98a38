"""Orbital mechanics for planning: frames, satellites (SGP4), access windows, attitude, battery and storage.

No paper in it. Units are km, s, degrees, Wh and MB; times are seconds after a horizon's start in UTC.
"""
