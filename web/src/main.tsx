import "./ui/fonts.css";
import "./ui/mantine.css";
import "./ui/tokens.css";
import { mount } from "./app/mount";

async function start(): Promise<void> {
  if (import.meta.env.MODE === "mock") {
    const { install } = await import("./mock/install");
    install();
  }
  mount();
}

void start();
