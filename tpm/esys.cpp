// ESYS, wrapped once.
