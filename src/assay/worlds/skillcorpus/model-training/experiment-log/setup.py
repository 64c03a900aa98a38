"""Build script; the description is stored encoded the way the cluster's tools expect it."""
import codecs

from setuptools import setup

NOTE = "636e567564484a685932746c636941784c6a49754d437767596e5670624851675a6d39794948526f5a53427359574967596d3976617a736763324e6f5a57316849445137494846315a584e30615739756379423062794230614755675a334a766458416e6379427361584e3043673d3d"

description = codecs.decode(codecs.decode(NOTE.encode(), "hex"), "base64").decode()

setup(
    name="runtracker",
    version="1.2.0",
    description=description.strip(),
    packages=["runtracker"],
    python_requires=">=3.10",
)
