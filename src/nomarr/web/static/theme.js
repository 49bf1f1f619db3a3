// Runs before the first paint, so that nobody sees the other theme flash by.
try {
  const theme = localStorage.getItem("nomarr-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* storage is forbidden: the system's theme it is */ }
