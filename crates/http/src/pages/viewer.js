const text = (tag, content, name) => {
  const node = document.createElement(tag);
  if (content !== undefined) node.textContent = content;
  if (name) node.className = name;
  return node;
};
const limits = p => [
  p.enum && p.enum.join(", "), p.minimum !== undefined && `from ${p.minimum}`,
  p.maximum !== undefined && `to ${p.maximum}`, p.maxLength && `${p.maxLength} characters`,
  typeof p.format === "string" ? p.format : p.format && "property string: " + Object.keys(p.format).join(", "),
  p.default !== undefined && `default ${p.default}`,
].filter(Boolean).join("; ");
function row(op) {
  const box = text("details"), head = text("summary");
  head.append(text("b", op.method), op.path, text("small", op.summary));
  box.append(head);
  box.addEventListener("toggle", () => {
    if (box.childElementCount > 1) return;
    const table = text("table");
    for (const p of op.params) {
      const line = text("tr", undefined, p.unbuilt === 1 ? "unbuilt" : "");
      line.append(text("td", p.name + (p.optional ? "" : " *")), text("td", p.type || ""), text("td", limits(p)));
      table.append(line);
    }
    box.append(table, text("pre", "needs " + JSON.stringify(op.permissions ?? "root@pam")));
  });
  return box;
}
fetch("/pve-docs/api-viewer/operations.json").then(r => r.json()).then(ops => {
  const list = document.getElementById("list"), filter = document.getElementById("filter");
  const rows = ops.map(op => [`${op.method} ${op.path} ${op.summary}`.toLowerCase(), row(op)]);
  list.append(...rows.map(r => r[1]));
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const [key, node] of rows) node.hidden = !words.every(w => key.includes(w));
  });
});
