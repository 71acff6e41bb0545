import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const api = { target: process.env.TWOFOLD_URL ?? "http://127.0.0.1:7070", changeOrigin: false };

export default defineConfig({
  plugins: [react()],
  build: {
    target: ["chrome111", "firefox114", "safari16.4"],
    sourcemap: false,
    chunkSizeWarningLimit: 600,
  },
  server: { proxy: { "/api": api, "/v2": api } },
  test: {
    environment: "jsdom",
    include: ["tests/**/*.test.{ts,tsx}"],
    setupFiles: ["tests/setup.ts"],
    testTimeout: 30_000,
    isolate: true,
    maxWorkers: 2,
  },
});
