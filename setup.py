"""The build script; everything that it says stands in setup.cfg."""

from setuptools import setup

setup()
