"""Builds and installs tinygrad-lite; the metadata lives here, the tools' settings in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="tinygrad-lite",
    version="0.1.0",
    description="Automatic differentiation on NumPy and CuPy, small enough to read, "
    "with distillation, diffusion and contrastive learning written against it",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="tinygrad_lite contributors",
    license="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["tinygrad_lite", "tinygrad_lite.*", "techniques", "techniques.*"]),
    package_data={
        "tinygrad_lite": ["py.typed"],
        "tinygrad_lite.data.datasets": ["*.npz", "LICENSE*"],
        "techniques": ["py.typed"],
    },
    entry_points={"console_scripts": ["tinygrad-lite = tinygrad_lite.__main__:main"]},
    install_requires=["numpy>=2", "matplotlib", "tqdm", "safetensors", "threadpoolctl"],
    extras_require={
        "cuda12": ["cupy-cuda12x"],
        "cuda13": ["cupy-cuda13x"],
        "test": ["pytest", "pytest-xdist", "hypothesis"],
        "bench": ["torch==2.13.0", "scikit-learn", "autograd", "mygrad"],
        "dev": ["ruff", "mypy"],
    },
)
