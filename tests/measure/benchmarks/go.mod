module safepoint/rows

go 1.23
