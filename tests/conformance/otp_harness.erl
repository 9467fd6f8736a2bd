%% Runs scenarios (docs/otp-traces.md) on the supervisor of the Erlang/OTP that is installed, and writes their traces.
%%
%% The supervisor is the module `supervisor` itself, compiled again from the abstract code in its own beam file with ONE
%% change: the call `erlang:monotonic_time(1)`, which reads the clock in add_restart/1, has become `otp_harness:now()`,
%% which reads the scenario's clock. Not even the module's name changes; `difference` (below) says what does.
%%
%% There are two processes besides those of the scenario:
%% - the driver reads a request a line from stdin, lets things happen, and is the parent of the root;
%% - the recorder monitors every process of the scenario and writes down what happens to it. Whether a process is ended
%%   by its supervisor, and whether a supervisor ends because of its budget, it knows from call traces of
%%   supervisor:shutdown/1 and supervisor:add_restart/1, which leave the code as it is.
%%
%% The emulator must run one scheduler (+S 1): then signals arrive in the order in which they are sent, whoever sends.
-module(otp_harness).
-behaviour(supervisor).
-export([main/0, init/1, start/2, now/0]).

main() ->
    logger:set_primary_config(level, none),
    io:setopts([binary]),
    Forms = forms(),
    load_with_virtual_clock(Forms),
    ets:new(world, [named_table, public]),
    register(recorder, spawn_link(fun() -> recorder(#{}, [], 0) end)),
    erlang:trace_pattern({supervisor, shutdown, 1}, true, [local]),
    erlang:trace_pattern({supervisor, add_restart, 1}, [{'_', [], [{return_trace}]}], [local]),
    erlang:trace(new_processes, true, [call, {tracer, whereis(recorder)}]),
    process_flag(trap_exit, true),
    serve(Forms).

%% A request is an Erlang term and a full stop, on one line; so is the answer, as JSON.
serve(Forms) ->
    case io:get_line("") of
        eof ->
            halt(0);
        Line ->
            {ok, Tokens, _} = erl_scan:string(binary_to_list(Line)),
            {ok, Request} = erl_parse:parse_term(Tokens),
            try
                case Request of
                    difference -> difference(Forms);
                    Scenario -> trace(Scenario)
                end
            of
                Answer ->
                    io:put_chars([json(Answer), $\n]),
                    serve(Forms)
            catch
                _:Reason:Stack ->
                    io:format(standard_error, "~p~n~p~n", [Reason, Stack]),
                    halt(1)
            end
    end.

%% The one change.

forms() ->
    case beam_lib:chunks(code:which(supervisor), [abstract_code]) of
        {ok, {supervisor, [{abstract_code, {raw_abstract_v1, Forms}}]}} -> Forms;
        _ -> io:put_chars("\"the installed supervisor.beam has no abstract code\"\n"), halt(1)
    end.

with_virtual_clock({call, Line, {remote, _, {atom, _, erlang}, {atom, _, monotonic_time}}, [_]}) ->
    {call, Line, {remote, Line, {atom, Line, ?MODULE}, {atom, Line, now}}, []};
with_virtual_clock(Form) when is_tuple(Form) ->
    list_to_tuple(with_virtual_clock(tuple_to_list(Form)));
with_virtual_clock([First | Rest]) ->
    [with_virtual_clock(First) | with_virtual_clock(Rest)];
with_virtual_clock(Other) ->
    Other.

load_with_virtual_clock(Forms) ->
    {ok, supervisor, Beam} = compile:forms(with_virtual_clock(Forms), [debug_info]),
    code:unstick_mod(supervisor),
    {module, supervisor} = code:load_binary(supervisor, "supervisor with a virtual clock", Beam).

%% The functions that differ from the installed module's, with the expression that was there and the one that is;
%% and whether the unchanged abstract code compiles to the very code, atoms, literals, imports and exports installed.
difference(Forms) ->
    {ok, supervisor, Again} = compile:forms(Forms, [debug_info]),
    Chunks = ["Code", "AtU8", "LitT", "StrT", "ImpT", "ExpT"],
    {ok, {supervisor, Installed}} = beam_lib:chunks(code:where_is_file("supervisor.beam"), Chunks),
    #{otp => list_to_binary(erlang:system_info(otp_release)),
      same_without => beam_lib:chunks(Again, Chunks) =:= {ok, {supervisor, Installed}},
      changes => changes(none, Forms, with_virtual_clock(Forms))}.

changes(_, Same, Same) ->
    [];
changes(_, {function, _, Name, Arity, Was}, {function, _, Name, Arity, Is}) ->
    changes(iolist_to_binary(io_lib:format("~s/~b", [Name, Arity])), Was, Is);
changes(Where, {call, _, {remote, _, _, _}, _} = Was, Is) ->
    [[Where, iolist_to_binary(erl_pp:expr(Was)), iolist_to_binary(erl_pp:expr(Is))]];
changes(Where, Was, Is) when is_tuple(Was), is_tuple(Is) ->
    changes(Where, tuple_to_list(Was), tuple_to_list(Is));
changes(Where, [Was | Rest], [Is | Others]) ->
    changes(Where, Was, Is) ++ changes(Where, Rest, Others);
changes(Where, Was, Is) ->
    [[Where, iolist_to_binary(io_lib:write(Was)), iolist_to_binary(io_lib:write(Is))]].

%% A scenario. The driver is the parent of the root.

trace(#{id := Id, tree := Tree, events := Events} = Scenario) ->
    ets:delete_all_objects(world),
    ets:insert(world, {clock, 0}),
    [event(Plan) || Plan <- maps:get(prelude, Scenario, [])],
    _ = start(<<>>, #{id => <<>>, type => <<"supervisor">>, spec => Tree}),
    Steps = [step(fun() -> ok end) | [step(fun() -> at(Event) end) || Event <- Events]],
    Final = state(<<>>),
    step(fun() -> stop() end),
    flush(),
    #{id => Id, steps => Steps, final => Final}.

step(Cause) ->
    Answers = Cause(),
    settle(),
    [observe([<<"result">>, Op, answer(Op, gen_server:receive_response(Request, infinity))])
        || {call, Op, Request} <- listed(Answers)],
    ask(take).

listed(List) when is_list(List) -> List;
listed(_) -> [].

%% Every living supervisor answers a call, so it has handled all that was in its mailbox; if in a whole round nobody did
%% anything, and no orphan is left, then nothing is going on.
settle() ->
    Before = ask(activity),
    [catch supervisor:which_children(Pid) || Pid <- ask(supervisors)],
    case ask(activity) of
        {_, _Orphans = 0} = Before -> ok;
        _ -> settle()
    end.

flush() ->
    receive _ -> flush() after 0 -> ok end.

at(#{t := Time} = Event) ->
    ets:insert(world, {clock, max(Time, ets:lookup_element(world, clock, 2))}),
    event(Event).

event(#{op := <<"fail_start">>, path := Path, times := Times} = Plan) ->
    ets:insert(world, {{plan, Path}, fail, Times, maps:get(dt, Plan, 0)});
event(#{op := <<"ignore_start">>, path := Path, times := Times}) ->
    ets:insert(world, {{plan, Path}, ignore, Times, 0});
event(#{op := <<"exit">>, path := Path, reason := Reason}) ->
    end_process(exited, Path, reason(Reason));
event(#{op := <<"stop">>}) ->
    stop();
event(#{op := <<"burst">>, sup := Path, items := Items}) ->
    burst(Path, Items);
event(#{op := _, sup := Path} = Call) ->
    burst(Path, [Call]).

stop() ->
    end_process(terminated, <<>>, shutdown).

%% All items are in the mailbox of the supervisor before it handles the first.
burst(Path, Items) ->
    case ask({find, Path}) of
        {supervisor, Pid} ->
            erlang:suspend_process(Pid),
            Answers = [item(Path, Pid, Item) || Item <- Items],
            erlang:resume_process(Pid),
            Answers;
        _ ->
            observe([<<"noop">>, Path])
    end.

item(_, _, #{op := <<"exit">>} = Exit) ->
    event(Exit);
item(Path, Pid, #{op := Op} = Call) ->
    {call, Op, gen_server:send_request(Pid, request(Path, Call))}.

%% What the functions of these names in `supervisor` send.
request(Path, #{op := <<"start_child">>, child := Child}) -> {start_child, child(Path, Child)};
request(_, #{op := Op, id := Id}) -> {binary_to_atom(Op), Id};
request(_, #{op := Op}) -> binary_to_atom(Op).

answer(<<"which_children">>, {reply, Children}) -> [[Id, shown(Pid)] || {Id, Pid, _, _} <- lists:reverse(Children)];
answer(<<"count_children">>, {reply, Counts}) -> [Count || {_, Count} <- Counts];
answer(_, {reply, ok}) -> ok;
answer(_, {reply, {ok, undefined}}) -> ok_undefined;
answer(_, {reply, {ok, _}}) -> ok;
answer(_, {reply, {error, {already_started, _}}}) -> already_started;
answer(_, {reply, {error, {start_failed, Why}}}) -> Why;
answer(_, {reply, {error, {{start_failed, Why}, _Child}}}) -> Why;
answer(_, {reply, {error, Why}}) when is_atom(Why) -> Why;
answer(_, {reply, {error, _}}) -> bad_spec;
answer(_, {error, _}) -> no_reply.

shown(Pid) when is_pid(Pid) -> alive;
shown(Other) -> Other.

%% The STATE of a supervisor and of those below it.
state(Path) ->
    case ask({find, Path}) of
        none ->
            null;
        {supervisor, Pid} ->
            Children = supervisor:which_children(Pid),
            #{children => answer(<<"which_children">>, {reply, Children}),
              counts => answer(<<"count_children">>, {reply, supervisor:count_children(Pid)}),
              restarts => element(8, sys:get_state(Pid)), % #state.restarts; internal, and compared with vectors only
              below => maps:from_list([{Id, state(join(Path, Id))} || {Id, P, supervisor, _} <- Children, is_pid(P)])}
    end.

join(<<>>, Id) -> Id;
join(Path, Id) -> <<Path/binary, "/", Id/binary>>.

%% The scenario's clock, in whole seconds as erlang:monotonic_time(1) has it.
now() -> trunc(ets:lookup_element(world, clock, 2)).

%% Processes. start/2 runs in the supervisor that starts the child; the driver calls it for the root.

init({Path, Spec}) ->
    #{strategy := Strategy, intensity := Intensity, period := Period, auto_shutdown := Auto} = Spec,
    Flags = #{strategy => binary_to_atom(Strategy), intensity => Intensity, period => Period,
              auto_shutdown => binary_to_atom(Auto)},
    {ok, {Flags, [child(Path, Child) || Child <- maps:get(children, Spec)]}}.

child(Path, #{id := Id, type := Type, restart := Restart, significant := Significant, shutdown := Shutdown} = Child) ->
    #{id => Id, start => {?MODULE, start, [join(Path, Id), Child]}, restart => binary_to_atom(Restart),
      significant => Significant, type => binary_to_atom(Type),
      shutdown => if is_binary(Shutdown) -> binary_to_atom(Shutdown); true -> Shutdown end}.

start(Path, Child) ->
    case planned({plan, Path}) of
        {fail, Delay} ->
            ets:update_element(world, clock, {2, ets:lookup_element(world, clock, 2) + Delay}),
            start_failed(Path, <<"error">>);
        {ignore, _} ->
            observe([<<"start_ignored">>, Path]),
            ignore;
        none ->
            start_process(Path, Child)
    end.

planned(Key) ->
    case ets:lookup(world, Key) of
        [{_, How, Times, Delay}] when Times > 0 ->
            ets:insert(world, {Key, How, Times - 1, Delay}),
            {How, Delay};
        _ ->
            none
    end.

start_process(Path, #{type := <<"worker">>} = Child) ->
    Stubborn = maps:get(stubborn, Child, false),
    Parent = self(),
    Pid = spawn_link(fun() ->
        process_flag(trap_exit, Stubborn),
        Parent ! {self(), ready},
        worker()
    end),
    receive {Pid, ready} -> started(Path, worker, Pid) end;
start_process(Path, #{type := <<"supervisor">>, spec := Spec}) ->
    case supervisor:start_link(?MODULE, {Path, Spec}) of
        {ok, Pid} -> started(Path, supervisor, Pid);
        {error, {shutdown, {failed_to_start_child, Id, _}}} -> start_failed(Path, <<"child:", Id/binary>>);
        {error, _} -> start_failed(Path, <<"bad_spec">>)
    end.

started(Path, Kind, Pid) ->
    ask({started, Path, Kind, Pid}),
    {ok, Pid}.

start_failed(Path, Why) ->
    observe([<<"start_failed">>, Path, Why]),
    {error, {start_failed, Why}}.

%% A worker that traps exits is deaf to `shutdown`.
worker() ->
    receive
        {exit, Reason} -> exit(Reason);
        {'EXIT', _, shutdown} -> worker();
        {'EXIT', _, Reason} -> exit(Reason)
    end.

reason(<<"shutdown_x">>) -> {shutdown, x};
reason(Reason) -> binary_to_atom(Reason).

%% Let the process of that path end, if there is one, and wait until it has.
end_process(Fate, Path, Reason) ->
    case ask({fate, Fate, Path}) of
        none ->
            observe([<<"noop">>, Path]);
        {Kind, Pid} ->
            Monitor = monitor(process, Pid),
            end_process(Fate, Kind, Pid, Reason),
            receive {'DOWN', Monitor, process, Pid, _} -> ok end
    end.

end_process(_, _, Pid, kill) -> exit(Pid, kill);
end_process(terminated, supervisor, Root, shutdown) -> exit(Root, shutdown); % the driver is the root's parent
end_process(exited, supervisor, Pid, Reason) -> catch gen_server:stop(Pid, Reason, infinity);
end_process(exited, worker, Pid, Reason) -> Pid ! {exit, Reason}.

%% The recorder. `Live` maps the pids of the scenario to {Path, Kind, Fate}: how the process would end if it did now.

observe(Observation) -> ask({observe, Observation}).

ask(Question) ->
    Ref = make_ref(),
    recorder ! {ask, self(), Ref, Question},
    receive {Ref, Answer} -> Answer end.

recorder(Live, Seen, Count) ->
    receive
        {ask, From, Ref, Question} ->
            {Answer, NewLive, NewSeen, NewCount} = asked(Question, Live, Seen, Count),
            From ! {Ref, Answer},
            recorder(NewLive, NewSeen, NewCount);
        {trace, _, call, {supervisor, shutdown, [Child]}} ->
            recorder(with_fate(element(2, Child), terminated, Live), Seen, Count); % #child.pid
        {trace, Supervisor, return_from, {supervisor, add_restart, 1}, {terminate, _}} ->
            recorder(with_fate(Supervisor, intensity, Live), Seen, Count);
        {trace, _, _, {supervisor, add_restart, 1}, _} ->
            recorder(Live, Seen, Count);
        {trace, _, call, {supervisor, add_restart, _}} ->
            recorder(Live, Seen, Count);
        {'DOWN', _, process, Pid, Reason} ->
            {{Path, Kind, Fate}, Rest} = maps:take(Pid, Live),
            {Orphans, NewLive} = orphans(Path, Kind, Fate, Reason, Rest),
            Observations = ended(Path, Fate, reason_shown(Reason)) ++ [[<<"orphaned">>, Orphans] || Orphans =/= []],
            recorder(NewLive, lists:reverse(Observations) ++ Seen, Count + 1)
    end.

asked({started, Path, Kind, Pid}, Live, Seen, Count) ->
    monitor(process, Pid),
    {ok, Live#{Pid => {Path, Kind, auto_shutdown}}, [[<<"started">>, Path] | Seen], Count + 1};
asked({observe, Observation}, Live, Seen, Count) ->
    {ok, Live, [Observation | Seen], Count + 1};
asked({find, Path}, Live, Seen, Count) ->
    {found(Path, Live), Live, Seen, Count};
asked({fate, Fate, Path}, Live, Seen, Count) ->
    case found(Path, Live) of
        none -> {none, Live, Seen, Count};
        {Kind, Pid} -> {{Kind, Pid}, with_fate(Pid, Fate, Live), Seen, Count}
    end;
asked(supervisors, Live, Seen, Count) ->
    {[Pid || {Pid, {_, supervisor, _}} <- maps:to_list(Live)], Live, Seen, Count};
asked(activity, Live, Seen, Count) ->
    {{Count, length([orphan || {_, _, orphan} <- maps:values(Live)])}, Live, Seen, Count};
asked(take, Live, Seen, Count) ->
    {lists:reverse(Seen), Live, [], Count}.

found(Path, Live) ->
    case [{Kind, Pid} || {Pid, {P, Kind, Fate}} <- maps:to_list(Live), P =:= Path, Fate =/= orphan] of
        [Found] -> Found;
        [] -> none
    end.

with_fate(Pid, Fate, Live) ->
    case Live of
        #{Pid := {_, _, orphan}} -> Live;
        #{Pid := {Path, Kind, _}} -> Live#{Pid := {Path, Kind, Fate}};
        _ -> Live % it has ended already
    end.

ended(_, orphan, _) -> [];
ended(Path, Fate, Reason) when Fate =:= exited; Fate =:= terminated -> [[Fate, Path, Reason]];
ended(Path, Cause, Reason) -> [[<<"supervisor_down">>, Path, Reason, Cause]].

%% Whoever is left below a killed supervisor. What becomes of them is not observed.
orphans(Path, supervisor, Fate, killed, Live) when Fate =/= orphan ->
    Pids = [Pid || {Pid, {P, _, F}} <- maps:to_list(Live), F =/= orphan, is_below(P, join(Path, <<>>))],
    {lists:sort([element(1, maps:get(Pid, Live)) || Pid <- Pids]),
     lists:foldl(fun(Pid, Acc) -> with_fate(Pid, orphan, Acc) end, Live, Pids)};
orphans(_, _, _, _, Live) ->
    {[], Live}.

is_below(Path, Prefix) -> string:prefix(Path, Prefix) =/= nomatch.

reason_shown({shutdown, x}) -> shutdown_x;
reason_shown(Reason) when is_atom(Reason) -> Reason;
reason_shown(Reason) -> iolist_to_binary(io_lib:write(Reason)).

%% JSON, of what this module answers.

json(Map) when is_map(Map) -> [${, separated([[json(Key), $:, json(V)] || {Key, V} <- maps:to_list(Map)]), $}];
json(List) when is_list(List) -> [$[, separated([json(Item) || Item <- List]), $]];
json(Number) when is_integer(Number) -> integer_to_list(Number);
json(Atom) when Atom =:= null; Atom =:= true; Atom =:= false -> atom_to_list(Atom);
json(Atom) when is_atom(Atom) -> json(atom_to_binary(Atom));
json(Text) when is_binary(Text) -> [$", string:replace(string:replace(Text, "\\", "\\\\", all), "\"", "\\\"", all), $"].

separated(Items) -> lists:join($,, Items).
