// SPDX-License-Identifier: MIT OR Apache-2.0
import java.lang.invoke.VarHandle;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.function.LongConsumer;

/**
 * Measures OpenJDK's ThreadLocal in the rows that it supports. Prints "version V", then lines "row
 * nanoseconds".
 *
 * It runs in a separate process, so it is not measured in the same rounds as the other peers. Each loop
 * is warmed up until it is compiled. The result is the median of the thread's processor time over many
 * batches. Each loop compares the values that it reads with the right ones, and the program fails if
 * one was wrong. A fence without an instruction after each operation prevents the compiler from moving
 * a read out of the loop.
 */
public final class Peers {
    private static final ThreadMXBean CLOCK = ManagementFactory.getThreadMXBean();
    private static final Object[] VALUES = {new Object(), new Object()};
    private static int batches = 40;
    private static long wrong;

    public static void main(String[] arguments) throws InterruptedException {
        boolean quick = arguments.length > 0 && arguments[0].equals("--quick");
        if (quick) batches = 9;
        System.out.println("version " + System.getProperty("java.version"));
        get("get-1", 1, 1);
        get("get-100", 100, 100);
        get("get-1000", 1000, 1000);
        get("get-100-of-1000", 100, 1000);
        set();
        first("first-1", 1);
        first("first-100", 100);
        measure("cycle", 200_000, Peers::lives);
        threads();
        veryMany(quick ? 100_000 : 1_000_000);
        if (wrong != 0) {
            System.err.println(wrong + " reads returned a wrong value");
            System.exit(1);
        }
    }

    private static void measure(String row, long operations, LongConsumer loop) {
        long until = System.nanoTime() + 300_000_000L;
        while (System.nanoTime() < until) loop.accept(operations / 10);
        double[] taken = new double[batches];
        for (int i = 0; i < batches; i++) {
            long start = CLOCK.getCurrentThreadCpuTime();
            loop.accept(operations);
            taken[i] = (double) (CLOCK.getCurrentThreadCpuTime() - start) / operations;
        }
        print(row, taken);
    }

    private static void print(String row, double[] taken) {
        Arrays.sort(taken);
        System.out.printf(java.util.Locale.ROOT, "%s %.3f%n", row, taken[taken.length / 2]);
    }

    @SuppressWarnings("unchecked")
    private static ThreadLocal<Object>[] make(int count) {
        ThreadLocal<Object>[] keys = new ThreadLocal[count];
        for (int i = 0; i < count; i++) keys[i] = new ThreadLocal<>();
        return keys;
    }

    /** The same order as for the other peers: xorshift, with a fixed seed. */
    private static void shuffle(Object[] items) {
        long state = 0x9E3779B97F4A7C15L;
        for (int last = items.length - 1; last > 0; last--) {
            state ^= state << 13;
            state ^= state >>> 7;
            state ^= state << 17;
            int other = (int) Long.remainderUnsigned(state, last + 1);
            Object moved = items[last];
            items[last] = items[other];
            items[other] = moved;
        }
    }

    private static void get(String row, int used, int live) {
        ThreadLocal<Object>[] all = make(live);
        if (used < live) shuffle(all);
        ThreadLocal<Object>[] keys = Arrays.copyOf(all, used);
        for (ThreadLocal<Object> key : keys) key.set(VALUES[0]);
        measure(row, 200_000, operations -> wrong += reads(keys, operations));
        for (ThreadLocal<Object> key : keys) key.remove();
    }

    private static long reads(ThreadLocal<Object>[] keys, long operations) {
        Object right = VALUES[0];
        long wrong = 0;
        for (long done = 0; done < operations; done += keys.length)
            for (ThreadLocal<Object> key : keys) {
                if (key.get() != right) wrong++;
                VarHandle.acquireFence();
            }
        return wrong;
    }

    private static void set() {
        ThreadLocal<Object> key = new ThreadLocal<>();
        measure("set", 200_000, operations -> {
            for (long done = 0; done < operations; done++) {
                key.set(VALUES[(int) (done & 1)]);
                VarHandle.acquireFence();
            }
        });
        key.remove();
    }

    private static void first(String row, int count) {
        ThreadLocal<Object>[] keys = make(count);
        measure(row, 100_000, operations -> {
            for (long done = 0; done < operations; done += count) {
                for (ThreadLocal<Object> key : keys) key.set(VALUES[0]);
                for (ThreadLocal<Object> key : keys) key.remove();
            }
        });
    }

    /** A key cannot be destroyed: the value is removed, and the garbage collector frees the key. */
    private static void lives(long operations) {
        for (long done = 0; done < operations; done++) {
            ThreadLocal<Object> key = new ThreadLocal<>();
            key.set(VALUES[0]);
            if (key.get() != VALUES[0]) wrong++;
            key.remove();
        }
    }

    /** Measures the processor time of the whole process, with the threads of the collector and the compiler. */
    private static void threads() throws InterruptedException {
        ThreadLocal<Object>[] keys = make(100);
        Runnable life = () -> {
            for (ThreadLocal<Object> key : keys) key.set(VALUES[0]);
        };
        com.sun.management.OperatingSystemMXBean process =
                (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        // This clock has a resolution of 10 ms, so a batch has many threads.
        int batch = 50 * batches;
        double[] taken = new double[5];
        for (int i = -1; i < taken.length; i++) {
            long start = process.getProcessCpuTime();
            for (int done = 0; done < batch; done++) {
                Thread thread = new Thread(life);
                thread.start();
                thread.join();
            }
            if (i >= 0) taken[i] = (double) (process.getProcessCpuTime() - start) / batch;
        }
        print("thread-100", taken);
    }

    private static void veryMany(int count) {
        double[] creates = new double[5];
        double[] sets = new double[5];
        for (int i = 0; i < 5; i++) {
            long start = CLOCK.getCurrentThreadCpuTime();
            ThreadLocal<Object>[] keys = make(count);
            long made = CLOCK.getCurrentThreadCpuTime();
            for (ThreadLocal<Object> key : keys) key.set(VALUES[0]);
            long set = CLOCK.getCurrentThreadCpuTime();
            for (ThreadLocal<Object> key : keys) key.remove();
            creates[i] = (double) (made - start) / count;
            sets[i] = (double) (set - made) / count;
        }
        print("million-create", creates);
        print("million-set", sets);
    }
}
