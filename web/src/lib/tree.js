/*
 * tree.js - a conversation whose questions were edited and whose answers were asked for again.
 *
 * Each node has `key` (ours), `parent` (a key, or null) and `role`; what else is in it is the caller's.  Of
 * the children of a node one is chosen; following those gives the path that is shown.
 */

export function createTree() {
  return { nodes: new Map(), children: new Map([[null, []]]), chosen: new Map() };
}

export function addNode(tree, node) {
  tree.nodes.set(node.key, node);
  tree.children.set(node.key, []);
  tree.children.get(node.parent).push(node.key);
  tree.chosen.set(node.parent, node.key);
  return node;
}

/* Take a node away that has no children; its neighbour is chosen instead. */
export function removeNode(tree, node) {
  const family = tree.children.get(node.parent);
  family.splice(family.indexOf(node.key), 1);
  tree.nodes.delete(node.key);
  tree.children.delete(node.key);
  if (family.length > 0) {
    tree.chosen.set(node.parent, family.at(-1));
  } else {
    tree.chosen.delete(node.parent);
  }
}

/* The nodes from the root down to `end`, or to the end of what is chosen. */
export function pathOf(tree, end) {
  if (end) {
    const path = [];
    for (let node = end; node; node = tree.nodes.get(node.parent)) {
      path.unshift(node);
    }
    return path;
  }
  const path = [];
  for (let key = tree.chosen.get(null); key !== undefined; key = tree.chosen.get(key)) {
    path.push(tree.nodes.get(key));
  }
  return path;
}

/* Which of how many versions a node is, counted from 1. */
export function versionOf(tree, node) {
  const family = tree.children.get(node.parent);
  return { version: family.indexOf(node.key) + 1, versions: family.length };
}

/* Choose the version that is `step` further, if there is one. */
export function chooseVersion(tree, node, step) {
  const family = tree.children.get(node.parent);
  const key = family[family.indexOf(node.key) + step];
  if (key !== undefined) {
    tree.chosen.set(node.parent, key);
  }
}
