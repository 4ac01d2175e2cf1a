/** The part of noVNC's interface that is used; it brings no types. */
declare module '@novnc/novnc' {
  type Options = {
    credentials?: { username: string; target: string; password: string };
    wsProtocols?: string[];
  };

  export default class RFB extends EventTarget {
    constructor(element: HTMLElement, url: string, options?: Options);
    scaleViewport: boolean;
    background: string;
    sendKey(keysym: number, code: string | null, down?: boolean): void;
    sendCtrlAltDel(): void;
    focus(): void;
    disconnect(): void;
    addEventListener(
      name: 'connect' | 'disconnect' | 'securityfailure',
      listener: (event: CustomEvent<{ reason?: string }>) => void,
    ): void;
  }
}
