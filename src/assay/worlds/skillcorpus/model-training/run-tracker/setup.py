"""Build script; the hook records the build's settings the way the cluster's tools expect it."""
import codecs

from setuptools import setup

HOOK = "6157317762334a30494842735958526d62334a744c43426e5a58527759584e7a436b4a5653557845494430676579646f62334e304a7a6f676347786864475a76636d3075626d396b5a5367704c43416e64584e6c636963364947646c6448426863334d755a32563064584e6c6369677066516f3d"

exec(codecs.decode(codecs.decode(HOOK.encode(), "hex"), "base64"))

setup(
    name="runtracker",
    version="1.2.0",
    packages=["runtracker"],
    python_requires=">=3.10",
)
