import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// Pages load their code when first opened, on a busy machine too.
configure({ asyncUtilTimeout: 15_000 });

/** What jsdom lacks and Mantine and React Flow ask for. */
class NoResize {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

Object.defineProperty(globalThis, "ResizeObserver", { value: NoResize, configurable: true });
Object.defineProperty(window, "matchMedia", {
  configurable: true,
  value: (media: string) => ({
    media,
    matches: false,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    addListener: () => undefined,
    removeListener: () => undefined,
  }),
});
Object.defineProperty(window, "scrollTo", { configurable: true, value: () => undefined });
// jsdom has no canvas; axe would ask it for the width of icon fonts, which we have none of.
Object.defineProperty(HTMLCanvasElement.prototype, "getContext", { configurable: true, value: () => null });

afterEach(cleanup);
