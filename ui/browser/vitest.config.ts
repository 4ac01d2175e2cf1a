import { defineConfig } from 'vitest/config';

/** Tests in a real browser against a node whose address is in OSTLER_URL. */
export default defineConfig({
  test: {
    include: ['browser/*.test.ts'],
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 60_000,
  },
});
