// The theme that was chosen before, set before anything is drawn. Runs alone, in the head.

(() => {
  try {
    const theme = localStorage.getItem("zeropoint-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser that remembers nothing for files: the system's theme it is.
  }
})();
