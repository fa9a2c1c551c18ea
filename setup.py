"""Map the root folders onto the ``duchenne`` namespace; all other metadata is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT_FOLDERS = ("stimuli", "protocols", "recorder", "analysis")

setup(
    packages=["duchenne"]
    + [f"duchenne.{folder}" for folder in ROOT_FOLDERS]
    + [
        f"duchenne.{folder}.{package}"
        for folder in ROOT_FOLDERS
        for package in find_packages(str(Path(__file__).parent / folder))
    ],
    package_dir={"duchenne": "duchenne"}
    | {f"duchenne.{folder}": folder for folder in ROOT_FOLDERS},
)
