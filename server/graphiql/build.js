// Builds the page that package server embeds: src/ and the packages of package-lock.json in,
// dist/ out. Every file in dist/ is gzipped; every name but the page's carries a hash of the
// content. The same input gives the same bytes on every machine: esbuild is exact, and pako,
// unlike zlib, does not depend on the processor or on the version of Node.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import pako from 'pako';

const root = dirname(fileURLToPath(import.meta.url));
const bundled = new Set(); // every file that went into the page, for the licences

async function bundle(options) {
  const { outputFiles, metafile } = await esbuild.build({
    absWorkingDir: root,
    outdir: 'dist/assets',
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    entryNames: '[name]-[hash]',
    chunkNames: 'part-[hash]',
    assetNames: '[name]-[hash]',
    legalComments: 'none',
    logLevel: 'warning',
    ...options,
  });
  Object.keys(metafile.inputs).forEach((file) => bundled.add(file));
  const names = Object.entries(metafile.outputs)
    .filter(([, output]) => output.entryPoint)
    .map(([file, output]) => [basename(output.entryPoint), basename(file)]);
  return { files: outputFiles, names: Object.fromEntries(names) };
}

// The licences of all packages in the page, which they ask to travel with it.
function licences() {
  const packages = [...bundled]
    .map((file) => file.match(/^node_modules\/(@[^/]+\/)?[^/]+/)?.[0])
    .filter(Boolean);
  const texts = [...new Set(packages)].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json')));
    return `${name} ${version}\n${license}\n\n${licenceText(join(root, folder))}`;
  });
  return Buffer.from(texts.join(`\n\n${'-'.repeat(72)}\n\n`) + '\n');
}

function licenceText(folder) {
  for (const file of ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'license.md']) {
    try {
      return readFileSync(join(folder, file), 'utf8').trim();
    } catch (err) {
      if (err.code !== 'ENOENT') throw err;
    }
  }
  return 'This package carries no licence text of its own.';
}

const workers = await bundle({
  entryPoints: {
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
  },
});
const style = await bundle({ entryPoints: ['src/page.css'] });
const script = await bundle({
  entryPoints: ['src/page.jsx'],
  splitting: true,
  loader: { '.graphql': 'text', '.svg': 'file', '.css': 'empty', '.ttf': 'empty' },
  define: {
    'process.env.NODE_ENV': '"production"',
    WORKERS: JSON.stringify({
      editor: workers.names['editor.worker.js'],
      json: workers.names['json.worker.js'],
      graphql: workers.names['graphql.worker.js'],
    }),
  },
});

const files = [...workers.files, ...style.files, ...script.files];
const assets = new Map(files.map((file) => [basename(file.path), file.contents]));
const favicon = [...assets.keys()].find((name) => /^favicon-.*\.svg$/.test(name));
const links = {
  'favicon.svg': `graphiql/assets/${favicon}`,
  'page.css': `graphiql/assets/${style.names['page.css']}`,
  'page.js': `graphiql/assets/${script.names['page.jsx']}`,
};
const page = readFileSync(join(root, 'src/index.html'), 'utf8').replace(
  /{{(.+?)}}/g,
  (_, name) => links[name],
);

rmSync(join(root, 'dist'), { recursive: true, force: true });
mkdirSync(join(root, 'dist/assets'), { recursive: true });
const write = (name, contents) =>
  writeFileSync(join(root, 'dist', `${name}.gz`), pako.gzip(contents, { level: 9 }));
write('index.html', Buffer.from(page));
write('licences.txt', licences());
assets.forEach((contents, name) => write(`assets/${name}`, contents));
