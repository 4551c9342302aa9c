"""The Python half of openqnn: Qualcomm's command lines over Qualcomm's own libraries."""
