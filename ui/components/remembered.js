// The code with which this browser takes part in a study: kept when there is one, told to the page when the address has none.

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".remembered-root");
  document.documentElement.lang = data.language;
  const name = `liminal.rater.${data.study}`;
  try {
    if (data.forget) localStorage.removeItem(name);
    if (data.code) localStorage.setItem(name, data.code);
    const kept = localStorage.getItem(name) ?? "";
    if (!data.code && root.told !== kept) { root.told = kept; setStateValue("code", kept); }
  } catch { /* a browser that keeps nothing: the address alone brings people back */ }
}
