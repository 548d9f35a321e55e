// Takes the pictures of the README from a running demo. docs/graphiql.png: the real page, watching a
// door live while a second window unlocks it. docs/portal.png: the page of a shared key, as whoever
// got its link sees it after opening a door.
//
//   CARDEA_TOKEN=cardea_… node screenshot.js http://127.0.0.1:8080/graphiql
//
// They are checks as much as pictures: it fails when the page logs an error, when an answer is not
// a success, when anything but the page's own origin is asked for, or when a door does not
// unlock. CHROME names the browser to use, by default /usr/bin/chromium.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const [address] = process.argv.slice(2);
const token = process.env.CARDEA_TOKEN;
if (!address || !token) {
  console.error('usage: CARDEA_TOKEN=… node screenshot.js URL-of-graphiql');
  process.exit(2);
}
const { origin, hostname } = new URL(address);
const faults = [];
const patience = 15_000; // milliseconds

const browser = await chromium.launch({
  executablePath: process.env.CHROME || '/usr/bin/chromium',
  headless: true,
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // Whatever else the browser or the page might ask for does not resolve.
    `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${hostname}`,
  ],
});
try {
  const images = { graphiql: await watchDoor(), portal: await takeKey() };
  for (const [name, image] of faults.length ? [] : Object.entries(images)) {
    const picture = fileURLToPath(new URL(`../${name}.png`, import.meta.url));
    writeFileSync(picture, image);
    console.log(`wrote ${picture}`);
  }
} catch (error) {
  faults.push(error.message);
} finally {
  await browser.close();
}
if (faults.length > 0) {
  console.error(`no pictures taken:\n${faults.map((fault) => `- ${fault}`).join('\n')}`);
  process.exit(1);
}

async function watchDoor() {
  const watching = await open();
  const acting = await open();

  await choose(acting, 'Doors');
  await start(acting);
  const { data } = JSON.parse(await shown(acting, /"doors"/));
  const door = data.doors.nodes.find(
    ({ connectivity, lockState }) => connectivity === 'ONLINE' && lockState === 'LOCKED',
  );
  if (!door) throw new Error('no door is online and locked');

  // One door only: in a busy house the answer would already show another one.
  await choose(watching, 'WatchDoors');
  await watching.getByRole('button', { name: 'Hide editor tools' }).click();
  await edit(watching, 'Operation Editor', (text) =>
    text.replace('doors {', `doors(ids: ["${door.id}"]) {`),
  );
  await start(watching);
  await shown(watching, /"lockState": "LOCKED"/);

  await choose(acting, 'UnlockDoor');
  await edit(acting, 'Variables', () => JSON.stringify({ doorId: door.id }));
  await start(acting);
  await shown(acting, /"stage": "CONFIRMED"/);
  await shown(watching, /"lockState": "UNLOCKED"/);
  await watching.waitForTimeout(800); // scroll bars fade; a lock stays open longer
  return watching.screenshot();
}

// Shares a key, and follows its link as a guest would.
async function takeKey() {
  const { viewer } = await ask('{ viewer { user { keys { nodes { id sharesLeft } } } } }');
  const { id } = viewer.user.keys.nodes.find(({ sharesLeft }) => sharesLeft > 0);
  const { shareKey } = await ask(
    'mutation($in: ShareKeyInput!) { shareKey(input: $in) { link } }',
    { in: { keyId: id, recipient: 'guest@example.com', recipientName: 'Courier', uses: 3 } },
  );
  const page = await browser.newPage({
    viewport: { width: 420, height: 860 },
    deviceScaleFactor: 2,
  });
  page.setDefaultTimeout(patience);
  watchFaults(page);
  await page.goto(shareKey.link);
  await page.getByRole('button', { name: 'Take this key' }).click();
  await page.getByRole('button', { name: /^Open / }).first().click();
  await page.getByText(/ is unlocked\.$/).waitFor();
  return page.screenshot();
}

async function ask(query, variables) {
  const answer = await fetch(new URL('/graphql', address), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

// Opens the page as a person would: types the token and waits for the light and the schema.
async function open() {
  const page = await browser.newPage({
    viewport: { width: 1280, height: 760 },
    deviceScaleFactor: 2,
    colorScheme: 'dark',
  });
  page.setDefaultTimeout(patience);
  watchFaults(page);
  await page.goto(address);
  await Promise.all([
    page.waitForResponse((answer) => isIntrospection(answer.request())),
    page.locator('.cardea-light[data-light="works"]').waitFor(),
    page.getByLabel('API token').fill(token),
  ]);
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  return page;
}

function isIntrospection(request) {
  return request.postData()?.includes('IntrospectionQuery') ?? false;
}

function watchFaults(page) {
  page.on('console', (line) => {
    if (line.type() === 'error') faults.push(`console: ${line.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
  page.on('request', (request) => foreign(request.url()));
  page.on('websocket', (socket) => foreign(socket.url().replace(/^ws/, 'http')));
  page.on('response', (answer) => {
    if (answer.status() >= 400) faults.push(`${answer.status()} for ${answer.url()}`);
  });
}

function foreign(url) {
  const { protocol, origin: asked } = new URL(url);
  if (protocol !== 'data:' && asked !== origin) faults.push(`a request left for ${asked}`);
}

async function choose(page, title) {
  await page.getByTitle(title, { exact: true }).click();
}

// Presses play, once GraphiQL has read the operation: it does so a moment after each change, and
// notes the text in its storage when it has.
async function start(page) {
  const text = await page.getByRole('region', { name: 'Operation Editor' }).evaluate(content);
  await page.waitForFunction((read) => localStorage.getItem('graphiql:query') === read, text);
  await page.getByRole('button', { name: /Execute query/ }).click();
}

// Rewrites what one of the editors holds. Typing would set off its automatic brackets.
async function edit(page, label, change) {
  const editor = page.getByRole('region', { name: label });
  const text = await editor.evaluate(content);
  await editor.evaluate(content, change(text));
}

// Runs in the page: reads the editor inside element or, given a text, fills it.
function content(element, text) {
  const editors = globalThis.__MONACO.editor.getEditors();
  const editor = editors.find((one) => element.contains(one.getDomNode()));
  return text === undefined ? editor.getValue() : editor.setValue(text);
}

// Waits until the response matches, and returns it.
async function shown(page, pattern) {
  const response = page.locator('.graphiql-response');
  for (const deadline = Date.now() + patience; ; await page.waitForTimeout(50)) {
    const text = await response.evaluate(content);
    if (pattern.test(text)) return text;
    if (Date.now() > deadline) throw new Error(`waited for ${pattern}, the page shows:\n${text}`);
  }
}
