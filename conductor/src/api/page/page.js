// Draws the OpenAPI document and makes the calls that are tried. Everything that comes from outside is text, never markup.
"use strict";

const KEY = "x-conserver-api-token";

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function schemaOf(document, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? document.components.schemas[name] : schema ?? {};
}

function said(schema) {
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const) return schema.const;
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type ?? "";
  return [type, schema.format, schema.description].filter(Boolean).join(", ");
}

function fields(document, operation) {
  const inputs = [];
  const rows = operation.parameters.map((parameter) => {
    const schema = schemaOf(document, parameter.schema.items ?? parameter.schema);
    const input = make("input", { name: parameter.name });
    inputs.push({ parameter, input });
    const many = parameter.schema.type === "array" ? ". Several: separate them by spaces" : "";
    return make("tr", {},
      make("td", {}, make("code", { class: parameter.required ? "must" : "" }, parameter.name), make("br"), parameter.in),
      make("td", {}, input),
      make("td", {}, parameter.description + many, make("br"), make("small", {}, said(schema))));
  });
  return { inputs, table: make("table", {}, ...rows) };
}

function request(path, inputs) {
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of inputs) {
    const text = input.value;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(text));
    else if (text === "") continue;
    else if (parameter.in === "header") headers[parameter.name] = text;
    else if (parameter.schema.type === "array") text.split(/\s+/).forEach((one) => query.append(parameter.name, one));
    else query.append(parameter.name, text);
  }
  const words = query.toString();
  return { url: path.slice(1) + (words ? `?${words}` : ""), headers };
}

async function show(response, started, into) {
  const took = Math.round(performance.now() - started);
  const lines = [`${response.status} ${response.statusText}, ${took} ms`];
  for (const [name, value] of response.headers) lines.push(`${name}: ${value}`);
  const kind = response.headers.get("content-type") ?? "";
  into.replaceChildren(make("pre", {}, lines.join("\n")));
  if (kind.startsWith("audio/")) {
    into.append(make("audio", { controls: true, src: URL.createObjectURL(await response.blob()) }));
    return;
  }
  let text = await response.text();
  if (kind.includes("json")) {
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* Shown as it came. */ }
  }
  into.append(make("pre", {}, text));
}

function trial(document, path, verb, operation) {
  const { inputs, table } = fields(document, operation);
  const inside = make("div", { class: "inside" }, table);
  const media = Object.keys(operation.requestBody?.content ?? {})[0];
  const body = media && make("textarea", { placeholder: media, spellcheck: false });
  if (body) inside.append(body);
  const answer = make("div");
  const button = make("button", { type: "button" }, "Call");
  button.addEventListener("click", async () => {
    const { url, headers } = request(path, inputs);
    const key = window.document.getElementById("key").value;
    if (key) headers[KEY] = key;
    if (media) headers["content-type"] = media;
    answer.replaceChildren("...");
    const started = performance.now();
    try {
      await show(await fetch(url, { method: verb.toUpperCase(), headers, body: body?.value }), started, answer);
    } catch (error) {
      answer.replaceChildren(make("pre", {}, `No answer: ${error.message}`));
    }
  });
  const answers = Object.entries(operation.responses).map(([status, response]) =>
    make("tr", {}, make("td", {}, make("code", {}, status)), make("td", {}, response.description)));
  inside.append(button, answer, make("h2", {}, "Answers"), make("table", {}, ...answers));
  return inside;
}

function draw(document) {
  const groups = new Map();
  for (const [path, operations] of Object.entries(document.paths)) {
    const group = path.split("/")[1];
    for (const [verb, operation] of Object.entries(operations)) {
      const line = make("summary", {}, make("b", {}, verb), make("code", {}, path), operation.summary,
        make("span", { class: "scope" }, operation["x-scope"] === "none" ? "open" : operation["x-scope"]));
      const entry = make("details", {}, line);
      // What is inside is made when somebody looks.
      entry.addEventListener("toggle", () => entry.append(trial(document, path, verb, operation)), { once: true });
      entry.dataset.words = `${verb} ${path} ${operation.summary}`.toLowerCase();
      groups.set(group, [...(groups.get(group) ?? []), entry]);
    }
  }
  const calls = window.document.getElementById("calls");
  calls.replaceChildren(...[...groups].map(([group, entries]) => make("section", {}, make("h2", {}, group), ...entries)));
  window.document.getElementById("about").textContent = `${document.info.description} Version ${document.info.version}.`;
  window.document.getElementById("find").addEventListener("input", (event) => {
    const word = event.target.value.toLowerCase();
    for (const section of calls.children) {
      const entries = [...section.querySelectorAll("details")];
      for (const entry of entries) entry.hidden = !entry.dataset.words.includes(word);
      section.hidden = entries.every((entry) => entry.hidden);
    }
  });
}

fetch("openapi.json").then((response) => response.json()).then(draw).catch((error) => {
  document.getElementById("calls").textContent = `openapi.json cannot be read: ${error.message}`;
});
