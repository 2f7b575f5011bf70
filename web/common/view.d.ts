/** Types of view.js, so that the type checker does not read the compressed libraries behind it. */

export type Child = unknown;
export type Component<P = any> = (props: P) => Child;
export interface Ref<T> { current: T }
export interface Context<T> { Provider: Component<{ value: T; children?: Child }> }

export const Fragment: Component;
export function html(strings: TemplateStringsArray, ...values: unknown[]): Child;
export function render(tree: Child, parent: Element): void;
export function createContext<T>(initial: T): Context<T>;
export function useContext<T>(context: Context<T>): T;
export function useState<T>(initial: T | (() => T)): [T, (next: T | ((before: T) => T)) => void];
export function useReducer<S, A>(reducer: (state: S, action: A) => S, initial: S): [S, (action: A) => void];
export function useEffect(effect: () => void | (() => void), inputs?: readonly unknown[]): void;
export function useLayoutEffect(effect: () => void | (() => void), inputs?: readonly unknown[]): void;
export function useMemo<T>(factory: () => T, inputs: readonly unknown[]): T;
export function useCallback<T extends Function>(callback: T, inputs: readonly unknown[]): T;
export function useRef<T>(initial: T): Ref<T>;
export function useRef<T>(initial: T | null): Ref<T | null>;
