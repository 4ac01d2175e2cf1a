// Sets the colour scheme before the first paint; a file of its own, since inline scripts are refused.
(() => {
  const wanted = localStorage.getItem('ostler-scheme');
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const scheme = wanted === 'light' || wanted === 'dark' ? wanted : dark ? 'dark' : 'light';
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
})();
