// SPDX-License-Identifier: Apache-2.0
// Elements, and how a tree becomes another one.
//
// Every view is made anew from what is known, and then the page's tree is changed where it differs:
// so focus, selection and scrolling stay. Text only ever becomes text: nothing here reads markup,
// and the page's policy (require-trusted-types-for) would refuse it.

const SVG = 'http://www.w3.org/2000/svg';
const HANDLERS = ['onclick', 'oninput', 'onchange', 'onsubmit', 'onpointermove', 'onpointerleave'];

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'style') Object.assign(node.style, value);
    else if (HANDLERS.includes(name)) node[name] = value;
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName &&
    (a.nodeType !== Node.ELEMENT_NODE ||
     a.getAttribute('data-key') === b.getAttribute('data-key'));
}

function attributesMorph(to, from) {
  for (const {name} of [...to.attributes]) {
    if (name !== 'style' && !from.hasAttribute(name)) to.removeAttribute(name);
  }
  for (const {name, value} of from.attributes) {
    if (name !== 'style' && to.getAttribute(name) !== value) to.setAttribute(name, value);
  }
  if (to.style.cssText !== from.style.cssText) to.style.cssText = from.style.cssText;
  for (const name of HANDLERS) to[name] = from[name];
}

// The children of `to` become those of `from`, which is used up.
export function morph(to, from) {
  const wanted = [...from.childNodes];
  wanted.forEach((node, index) => {
    const have = to.childNodes[index];
    if (!have) {
      to.append(node);
    } else if (!alike(have, node)) {
      have.replaceWith(node);
    } else if (node.nodeType === Node.TEXT_NODE) {
      if (have.data !== node.data) have.data = node.data;
    } else {
      attributesMorph(have, node);
      morph(have, node);
    }
  });
  while (to.childNodes.length > wanted.length) to.lastChild.remove();
}
