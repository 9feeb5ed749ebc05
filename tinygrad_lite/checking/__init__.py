"""The gradient check: estimate, compare, report, a step a file; and the cases that checks are made from."""

from tinygrad_lite.checking.gradcheck import gradcheck, gradgradcheck
from tinygrad_lite.checking.report import GradcheckError, Report

__all__ = ["GradcheckError", "Report", "gradcheck", "gradgradcheck"]
