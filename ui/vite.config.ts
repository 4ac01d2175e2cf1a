import { rmSync } from 'node:fs';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// dist/.gitignore stays: the folder always exists, so cargo can watch it.
const clean = {
  name: 'clean',
  apply: 'build' as const,
  buildStart: () => {
    rmSync('dist/assets', { recursive: true, force: true });
    rmSync('dist/index.html', { force: true });
  },
};

// OSTLER_NODE is a node's address for `npm run dev`.
const node = process.env.OSTLER_NODE ?? 'https://127.0.0.1:8006';
const proxy = {
  target: node,
  secure: false,
  ws: true,
  changeOrigin: true,
  headers: { origin: node },
};

export default defineConfig({
  plugins: [react(), clean],
  build: { emptyOutDir: false, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/api2': proxy, '/pve-docs': proxy } },
  test: { include: ['src/**/*.test.ts'] },
});
