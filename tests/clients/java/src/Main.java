import java.util.Arrays;

/** The programs of this folder: one JVM start for each of them and for all its cases. */
final class Main {
    public static void main(String[] arguments) throws Exception {
        String[] rest = Arrays.copyOfRange(arguments, 2, arguments.length);
        switch (arguments[0]) {
            case "cases" -> {
                Cases cases = new Cases(arguments[1]);
                new RecordCases(cases);
                new AdminCases(cases);
                new ToolCases(cases);
                cases.runAll();
            }
            case "talk" -> Talk.run(arguments[1]);
            case "lossy" -> Lossy.run(arguments[1], rest);
            case "transactions" -> Transactions.run(arguments[1]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        Runtime.getRuntime().halt(0); // tools leave threads and shutdown hooks behind
    }
}
