"""What dicomcast costs, beside what it is compared with: every row of the table is a ratio measured in one run."""
